"""`fleet roll`: a change brought up region by region, with the doctor between, and back again."""
