"""What training learns from, made here from a seed: pictures, films, sounds, and questions about them."""
