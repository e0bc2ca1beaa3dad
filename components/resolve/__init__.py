"""What a dated run reads."""
