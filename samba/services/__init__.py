"""What can be done here, one noun a file."""
