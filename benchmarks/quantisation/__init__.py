"""What each precision costs and gains on the embedded model, each served by Triton where it can be."""
