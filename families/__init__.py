"""What a model is: component signatures, latent layout, sampling rules, manifests. numpy only."""
