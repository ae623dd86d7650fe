// The same with require().
const assert = require('node:assert/strict')
const express = require('express')
const oauth2orize = require('oauth2orize')
const passport = require('passport')
const {
  createAssertionVerifier,
  createTokens,
  createTokenEndpoint,
  Strategy,
} = require('passport-client-assertion-jwt')
const { createClientCredentialsExchange } = require('passport-client-assertion-jwt')
const { createMemoryStores } = require('passport-client-assertion-jwt/stores/memory')
const { createTestClient } = require('passport-client-assertion-jwt/testing')

import('./serve.mjs').then(({ serve }) =>
  serve({
    ...{ assert, express, oauth2orize, passport, createAssertionVerifier, createTokens, createTokenEndpoint },
    ...{ createClientCredentialsExchange, createMemoryStores, Strategy, createTestClient },
  }),
)
