"""Bytes to arrays: decode, resample, resize. Everything unreadable is refused here, in one line."""
