"""The pages, a file for each: GET shows, POST changes and sends on."""
