"""What a rewrite is worth: one small module a reward, each a plain function of where the right images came."""
