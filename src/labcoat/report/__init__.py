"""What we tell: findings in every form, from the journal alone."""
