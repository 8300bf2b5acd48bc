"""What happens to a request: encode, think, talk, vocode. Each holds its part of the request's state."""
