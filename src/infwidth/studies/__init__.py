"""What is run on ADAM* and its kin: one module a study, and the trainings they share."""
