"""The command line and the composition of the stack: the one package that may import every other."""
