"""infwidth: theory of learning in infinitely wide networks beside finite networks."""
