"""What to compute: sizes, coordinates, taps and steps, decided on the host in NumPy. No kernel is known here."""
