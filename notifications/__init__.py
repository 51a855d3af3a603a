"""Tells people by mail, and programs by web hook, of what they asked to hear of."""
