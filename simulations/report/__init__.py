"""What people see of simulations: tables, Parquet, and one page that begins with the answer."""
