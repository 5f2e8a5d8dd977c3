"""The console: what people see and press, rendered on the server. It sits on top, beside the command line."""
