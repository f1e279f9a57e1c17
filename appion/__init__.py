"""Motion correction and CTF estimation that keep up with electron microscopes."""
