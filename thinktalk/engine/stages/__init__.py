"""What happens to a request, in order: encode, think, talk, vocode. Each holds its part of the request's state."""
