"""What system tests and benches are made of; the telephones themselves are in deployment.dev.sip."""
