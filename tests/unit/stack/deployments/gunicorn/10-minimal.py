bind = ":8000"
