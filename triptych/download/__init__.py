"""`triptych download`: the one place that talks to the internet. Nothing else imports it."""
