"""How well a model hears, thinks and speaks: independent judges and the rates they are counted in."""
