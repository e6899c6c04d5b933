"""What breaks: one function a fault, one file a kind."""
