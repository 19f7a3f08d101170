"""Pictures taken apart into layers, and layers put together: at the picture's size, as one picture, as a file."""
