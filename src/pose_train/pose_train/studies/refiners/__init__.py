"""What refiners mend, and what harm they do."""
