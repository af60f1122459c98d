"""The product under a monkey: real processes, random faults, and books that must balance at the end."""
