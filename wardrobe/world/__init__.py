"""People and garments drawn from a caption grammar, with exact ground truth. numpy and PIL only."""
