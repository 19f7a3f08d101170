"""Jobs: orders that wait, are done one after the other, and survive the gateway that took them."""
