"""Pure arithmetic that both steps or the loop need."""
