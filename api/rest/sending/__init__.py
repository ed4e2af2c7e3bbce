"""What a user sends: submissions and the state of their recipients."""
