package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
)

// credentialsFromEnv returns the option for the variables that hold credentials and TLS
// files. It is given after the program's options, and does nothing where those name a
// transport that is not this library's. url is where the client connects to.
func credentialsFromEnv(getenv func(string) string, url string) Option {
	return func(o *options) error {
		if o.transport != nil {
			return nil
		}
		login, variable, err := loginFromEnv(getenv)
		if err != nil {
			return fmt.Errorf("%w %w", transport.ErrInvalid, err)
		}
		if login != nil {
			if strings.Contains(url, "@") {
				return fmt.Errorf("%w %s: the URL holds credentials, too, and the server would get those; give one of both", transport.ErrInvalid, variable)
			}
			if o.natsSets(givesLogin) {
				return fmt.Errorf("%w %s: the program's option NATS gives credentials, too; unset the variable, or leave the option out", transport.ErrInvalid, variable)
			}
			o.nats = append(o.nats, login)
		}
		files, err := o.tlsFromEnv(getenv)
		if err != nil {
			return fmt.Errorf("%w %w", transport.ErrInvalid, err)
		}
		o.nats = append(o.nats, files...)
		return nil
	}
}

// loginFromEnv returns the option that logs the client in, and the variable that it comes
// from; nil if there is none.
func loginFromEnv(getenv func(string) string) (login nats.Option, variable string, err error) {
	user, password := getenv("NATS_USER"), getenv("NATS_PASSWORD")
	switch {
	case user == "" && password != "":
		return nil, "", errors.New("NATS_PASSWORD: it needs NATS_USER")
	case user != "" && password == "":
		return nil, "", errors.New("NATS_USER: it needs NATS_PASSWORD; one secret alone is NATS_TOKEN")
	}
	for _, kind := range []struct {
		variable string
		option   func(value string) (nats.Option, error)
	}{
		{"NATS_CREDS", credentialsFile},
		{"NATS_USER", func(string) (nats.Option, error) { return nats.UserInfo(user, password), nil }},
		{"NATS_TOKEN", func(token string) (nats.Option, error) { return nats.Token(token), nil }},
		{"NATS_NKEY_SEED_FILE", nkeySeedFile},
	} {
		value := getenv(kind.variable)
		if value == "" {
			continue
		}
		if login != nil {
			return nil, "", fmt.Errorf("%s: %s is set, too; a client logs in one way", kind.variable, variable)
		}
		if login, err = kind.option(value); err != nil {
			return nil, "", fmt.Errorf("%s: %w", kind.variable, err)
		}
		variable = kind.variable
	}
	return login, variable, nil
}

// credentialsFile returns the option for a file with a JWT and its seed. The option reads the
// file at each connect, so that it may be replaced.
func credentialsFile(path string) (nats.Option, error) {
	if err := readable(path); err != nil {
		return nil, err
	}
	login := nats.UserCredentials(path)
	var read nats.Options
	err := login(&read)
	if err == nil {
		_, err = read.UserJWT()
	}
	if err == nil {
		_, err = read.SignatureCB([]byte("does it hold a seed?"))
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a credentials file, which holds a user's JWT and its seed: %w", path, err)
	}
	return login, nil
}

// nkeySeedFile returns the option for a file with the seed of an nkey, which is read at each
// connect.
func nkeySeedFile(path string) (nats.Option, error) {
	if err := readable(path); err != nil {
		return nil, err
	}
	login, err := nats.NkeyOptionFromSeed(path)
	if err != nil {
		return nil, fmt.Errorf("%s does not hold the seed of a user's nkey: %w", path, err)
	}
	return login, nil
}

// tlsFromEnv returns the options for the files of TLS, which are read at each connect.
func (o *options) tlsFromEnv(getenv func(string) string) ([]nats.Option, error) {
	var given []nats.Option
	if ca := getenv("NATS_CA"); ca != "" {
		pem, err := os.ReadFile(ca) //nolint:gosec // G304: the path is the operator's
		if err != nil {
			return nil, fmt.Errorf("NATS_CA: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("NATS_CA: %s holds no certificate in PEM", ca)
		}
		if o.natsSets(func(set nats.Options) bool {
			return set.RootCAsCB != nil || set.TLSConfig != nil && set.TLSConfig.RootCAs != nil
		}) {
			return nil, errors.New("NATS_CA: the program's option NATS says whom to trust, too; unset the variable, or leave the option out")
		}
		given = append(given, nats.RootCAs(ca))
	}
	cert, key := getenv("NATS_CERT"), getenv("NATS_KEY")
	switch {
	case cert == "" && key == "":
		return given, nil
	case cert == "":
		return nil, errors.New("NATS_KEY: it needs NATS_CERT, the certificate of that key")
	case key == "":
		return nil, errors.New("NATS_CERT: it needs NATS_KEY, the key of that certificate")
	}
	if err := readable(cert); err != nil {
		return nil, fmt.Errorf("NATS_CERT: %w", err)
	}
	if err := readable(key); err != nil {
		return nil, fmt.Errorf("NATS_KEY: %w", err)
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("NATS_CERT and NATS_KEY: %s and %s are not a certificate and its key in PEM: %w", cert, key, err)
	}
	if o.natsSets(func(set nats.Options) bool {
		return set.TLSCertCB != nil || set.TLSConfig != nil && (len(set.TLSConfig.Certificates) > 0 || set.TLSConfig.GetClientCertificate != nil)
	}) {
		return nil, errors.New("NATS_CERT: the program's option NATS gives a certificate, too; unset the variable, or leave the option out")
	}
	return append(given, nats.ClientCert(cert, key)), nil
}

// readable returns an error if the file can't be read.
func readable(path string) error {
	f, err := os.Open(path) //nolint:gosec // G304: the path is the operator's
	if err != nil {
		return err
	}
	return f.Close()
}

// natsSets tells whether the program's NATS options set what is asked for. An option that
// fails is reported when the client connects.
func (o *options) natsSets(what func(nats.Options) bool) bool {
	var set nats.Options
	for _, opt := range o.nats {
		if opt != nil {
			_ = opt(&set)
		}
	}
	return what(set)
}

func givesLogin(set nats.Options) bool {
	return set.User != "" || set.Password != "" || set.UserInfo != nil || set.Token != "" || set.TokenHandler != nil ||
		set.Nkey != "" || set.UserJWT != nil
}
