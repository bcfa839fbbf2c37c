"""How far joint angles can be trusted."""
