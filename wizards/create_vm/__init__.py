"""A new server with all that belongs to it: what is computed, what is asked, what is done. create_vm.py declares it."""
