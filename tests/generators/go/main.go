// What an app does first, with the package of openapi-generator's go.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	numberdesk "numberdesk.example/client"
)

var (
	client = numberdesk.NewAPIClient(configuration())
	caller = context.WithValue(context.Background(), numberdesk.ContextAccessToken, os.Getenv("TOKEN"))
)

func configuration() *numberdesk.Configuration {
	configuration := numberdesk.NewConfiguration()
	configuration.Servers = numberdesk.ServerConfigurations{{URL: os.Getenv("API")}}
	return configuration
}

func order(country string) (*numberdesk.Order, error) {
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	request := numberdesk.NewOrderRequest(country)
	request.SetCarrierType(numberdesk.CARRIERTYPE_LOCAL)
	order, _, err := client.OrdersAPI.CreateOrder(caller).
		IdempotencyKey(fmt.Sprintf("%x", key)).
		OrderRequest(*request).
		Execute()
	return order, err
}

func main() {
	rented, err := order("DE")
	if err != nil {
		panic(err)
	}
	number := rented.GetPhoneNumber()
	fmt.Println("rents", rented.Id, number.Number)

	var pages []string
	cursor := ""
	for len(pages) < 2 {
		request := client.OrdersAPI.ListOrders(caller).Limit(1)
		if cursor != "" {
			request = request.Cursor(cursor)
		}
		page, _, err := request.Execute()
		if err != nil {
			panic(err)
		}
		for _, order := range page.Data {
			pages = append(pages, order.Id)
		}
		cursor = page.GetNextCursor()
	}
	fmt.Println("pages", strings.Join(pages, " "))

	_, err = order("US")
	var answer *numberdesk.GenericOpenAPIError
	if !errors.As(err, &answer) {
		panic(err)
	}
	problem := answer.Model().(numberdesk.Problem)
	decision := problem.GetDecision()
	fmt.Println("problem", problem.Type, decision.Rule)
}
