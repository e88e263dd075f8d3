"""What figures share: style, panels over δ, time and width."""
