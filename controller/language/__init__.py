"""How people are spoken to in their own language: catalogues, and figures as it writes them."""
