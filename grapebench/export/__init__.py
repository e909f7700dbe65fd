"""Results in the form that the benchmarks' own scorers take: one module a scorer.

Each has `DATASET`, the loader whose tasks it takes, `MOST_BYTES`, what the scorer takes of one file (None: any number),
and `submission(source)`, the files' contents by file name.
"""
