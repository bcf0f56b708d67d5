"""What project 30 hands to its learners: the page's layout, the controls, and a server to try the page on."""
