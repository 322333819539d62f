"""The component library: takes Inputs, knows no stack, no file and no environment variable."""
