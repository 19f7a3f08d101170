"""Where finished pictures lie, and the signed URLs that lead to them."""
