"""grapebench: does rewriting a query help a frozen vision-language retriever find the right image?"""

__version__ = "0.1.0"
