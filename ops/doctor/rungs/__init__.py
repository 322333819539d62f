"""The rungs: each a pure function from facts and expectations to findings."""
