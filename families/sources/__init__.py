"""Where models come from: diffusers folders and single weights files, told apart by what is in them."""
