"""What the panel knows about SMTP providers, as data: presets, Amazon's password rule, and what their replies mean."""
