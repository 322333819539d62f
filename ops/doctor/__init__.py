"""`fleet doctor`: a ladder of questions, each rung with what it means and what to do."""
