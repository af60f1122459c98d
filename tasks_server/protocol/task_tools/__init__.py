"""Tasks for hosts that know no tasks: a call that takes long is answered with its task, and tools follow it.

Knows no revision: what is made here are tool results as every revision has them, and definitions of tools.
"""
