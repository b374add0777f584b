"""Says why mail does not get out: what answers at the provider's ports, and what that means for the person who asks."""
