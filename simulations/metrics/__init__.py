"""What a simulation was worth: definitions, pure and vectorised, and how sure one may be of them over seeds."""
