"""`python -m otp_service.cli`"""

from otp_service.cli import main

if __name__ == "__main__":
    main()
