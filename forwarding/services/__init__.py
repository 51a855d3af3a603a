"""What people can do with forwards: one module a noun, one function a thing that can be done."""
